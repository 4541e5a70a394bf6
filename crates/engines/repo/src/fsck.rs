//! Checking that objects are what their names say.
