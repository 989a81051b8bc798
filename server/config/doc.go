// Package config reads the environment into one checked struct.
//
// The way of a setting: collect takes ACCOUNTS_* out of the environment, refuses
// names it does not know and reads the _FILE twins; parse fills the struct by its
// tags; resolve and check fill in the defaults that depend on other settings and
// apply the rules between settings. Everything that is wrong is reported at once,
// one line per fault. A line names the setting and the rule and never holds the
// value, so a secret that was put into the wrong setting is not printed either.
//
// An empty value is the same as an absent one.
//
// The package must not know what the settings are for: it imports nothing else
// of this module, opens no connection and, but for the _FILE twins, no file. It
// splits the list of secret keys and leaves their format to the token package.
package config
