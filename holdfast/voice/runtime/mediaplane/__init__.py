"""The media process, and control's client of it.

`python -m holdfast.voice.runtime.mediaplane` owns every RTP socket and makes one pass over all legs every 20 ms.
Control asks it over a local socket (`client.MediaPlane`); it shares no interpreter with anything, because a busy
thread beside it triples the time of a pass.
"""
