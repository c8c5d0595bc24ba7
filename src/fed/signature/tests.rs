//! Signed requests, read as they should be and as an attacker would have them.
