"""The console: one page with the live calls, what each hears, Hold and Resume."""
