# %% [markdown]
# # 1_probabilistic_layers
