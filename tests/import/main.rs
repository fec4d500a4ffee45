//! Opening real and broken files: the committed fixtures, and the reference data where they are present.

mod bad;
mod fixtures;
mod hostile;
mod reference;
mod support;
