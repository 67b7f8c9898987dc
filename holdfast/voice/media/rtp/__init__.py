"""RTP, RTCP and SRTP: packets, streams, jitter buffers, latching and receiver statistics."""
