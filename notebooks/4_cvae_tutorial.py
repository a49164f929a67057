# %% [markdown]
# # 4_cvae_tutorial
