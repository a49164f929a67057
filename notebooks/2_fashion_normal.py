# %% [markdown]
# # 2_fashion_normal
