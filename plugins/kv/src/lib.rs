//! Answers 100, 101, 102 and 219: the KV store.
