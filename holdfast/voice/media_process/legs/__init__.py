"""The legs of the media process: RTP in and out, RTCP, reports, recordings."""
