package config

import (
	"strings"
	"testing"
)

// Only variables whose name and value Kubernetes would set are ignored.
func TestMisspelledSettingIsNoServiceLink(t *testing.T) {
	for _, entry := range []string{
		"PORT=8080", "PORT=localhost:8080", "PORT=tcp://localhost:80", "PORT=http://10.0.0.1:80", "PORT=", "SERVICE_HOST=accounts.example.com", "SERVICE_PORT=tcp://10.0.0.1:80", "SERVICE=10.0.0.1",
		"SERVICE_URL=10.0.0.1", "DB_PORT=3306", "DB_HOST=10.0.0.2", "DB_PORT_TCP=tcp://10.0.0.2:80", "DB_PORT_80_TCP_NAME=x", "DB_PORT_80_TCP_PROTO=http", "DB_PORT_80_TCP_ADDR=db",
		"METRICS_PORT=9464", "METRICSADDR=10.0.0.2", "DB_SERVICE_HOSTS=10.0.0.2", "XSERVICE_HOST=10.0.0.2", "DB_REPORT=tcp://10.0.0.2:80",
	} {
		name, _, _ := strings.Cut(entry, "=")
		_, _, err := Load([]string{Prefix + entry})
		if err == nil || !strings.HasPrefix(err.Error(), Prefix+name+" is not a setting") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

// Otherwise a Service could make the server ignore a setting.
func TestNoSettingIsNamedLikeServiceLink(t *testing.T) {
	names := settingNames()
	for _, name := range fileSettings {
		names = append(names, name+"_FILE")
	}
	for _, name := range names {
		for _, value := range []string{"10.0.0.1", "80", "tcp", "tcp://10.0.0.1:80"} {
			if isServiceLink(name, value) {
				t.Errorf("%s=%s", name, value)
			}
		}
	}
}
