//! Guides as documents, the reader who follows them, and the commands in their sentences.

pub mod commands;
pub mod document;
pub mod reader;
