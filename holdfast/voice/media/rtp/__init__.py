"""RTP, RTCP and SRTP: headers, jitter buffers, latching, receiver statistics."""
