//! The rows of the contract (sections 1-7 and 11), and the tests that prove each.
