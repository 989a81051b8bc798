// Package django reads the users of a Django project, either from its live database (MySQL or
// MariaDB) in one read-only snapshot, or from a file written by `manage.py dumpdata`. It never
// holds all users in memory. It also reads the tables of simplejwt and django-allauth, if they
// exist.
//
// The package finds the table of the users by its columns and returns the rows unchanged. Package
// accounts decides what to do with them. This package must not depend on the tables of this
// service.
package django
