"""The window: one page with the live calls, who hears whom, Hold and Resume."""
