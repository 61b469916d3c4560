//! (room applet)
