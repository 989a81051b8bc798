// Package django reads the users of a Django project: from its live database (MySQL or MariaDB), in one read-only
// snapshot, or from a file that `manage.py dumpdata` has written. Neither is ever held in memory as a whole.
// It also reads the tables of simplejwt and django-allauth, if there are any.
//
// It finds the table of the users by its columns and hands rows on as they are. What becomes of them is decided in
// package accounts; this package must not know our own tables.
package django
