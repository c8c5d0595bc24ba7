//! The grammar, case by case.
