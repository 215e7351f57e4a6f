//! A policy: clients are shown the brokers of their own zone.
