"""The management plane: Batch AI 2018-05-01 and resource groups, over https."""
