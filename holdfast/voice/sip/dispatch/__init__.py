"""Dispatch of requests, responses and timers to the parts of the SIP agent."""
