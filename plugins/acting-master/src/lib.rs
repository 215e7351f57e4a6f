//! A policy: the smallest surviving slave is shown as master.
