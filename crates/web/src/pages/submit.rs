//! Submission.
