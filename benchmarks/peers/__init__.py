"""The same training in other hands, one a file.

Each file has `build(spec, pixels)`, pixels uint8 [N,H,W,C] with N whole batches, which returns a function that trains
a number of epochs onward and returns the running `Means` of the last one. All do the same work: a fresh order of all
rows each epoch, a fresh binarization at each visit, one draw of z, the KL in closed form, Adam, means of all terms.
"""
