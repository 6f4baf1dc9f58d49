"""Sessions that no process has: ended in time, as the tags of their workspaces say."""
