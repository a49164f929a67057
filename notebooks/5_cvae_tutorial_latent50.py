# %% [markdown]
# # 5_cvae_tutorial_latent50
