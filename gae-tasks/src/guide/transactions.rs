//! Tasks in transactions of the application.
