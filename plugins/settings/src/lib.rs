//! Answers 318 and 319: the settings, read and changed.
