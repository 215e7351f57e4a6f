//! Answers 311, 312 and 313: topics by their unit flags.
