//! An [`Ask`] back to text.
