//! `wiregate dev`: an app of AWS on this machine. What needs Node.js, Python or packages is in `sdk`.

mod app;
mod command;
mod sdk;
