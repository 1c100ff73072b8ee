//! The batch oracle: every number from scratch, as simply as it can be said
