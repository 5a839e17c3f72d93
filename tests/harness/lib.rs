//! Starts what the specification needs, on free ports, and stops it by pid.
