"""The plugins that come with trichat, one file each. They use only what `trichat` offers to any plugin."""
