"""The plugins that come with trichat: one file each, with nothing but what `trichat` gives to any plugin."""
