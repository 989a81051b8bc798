// Package config reads the environment into one checked struct.
//
// A setting is processed as follows: collect reads ACCOUNTS_* from the environment, rejects unknown
// names and reads the _FILE variants; parse fills the struct according to its tags; resolve and
// check fill in the defaults that depend on other settings and apply the rules between settings.
// All faults are reported at once, one per line. A line contains the setting and the rule, but
// never the value, so that a secret in the wrong setting is not printed.
//
// An empty value is the same as an absent one.
//
// The package must not depend on the packages that use the settings. Of this module, it imports
// only hosts and mail, which check host names, senders and SMTP URLs. It opens no connection and,
// except for the _FILE variants, no file. It splits the list of secret keys and leaves their format
// to package token.
package config
