//! Sending commits to a server.
