//! Templates with mistakes, and every word of what is said of them.
