//! Traces made, replayed and verified
