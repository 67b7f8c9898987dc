"""SIP sockets: UDP, TCP, TLS, and the endpoint around the agent."""
