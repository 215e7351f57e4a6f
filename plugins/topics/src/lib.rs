//! Answers 206, 216, 217, 224 and 304: topic lists, and topics made or forgotten by hand.
