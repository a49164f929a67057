# %% [markdown]
# # 3_squared_error
