package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// PID is the id of a process on this machine.
type PID int

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux that Go supports.
const clockTick = 10 * time.Millisecond

// CPU returns the CPU time used so far, in user mode and in the kernel (proc_pid_stat(5), fields 14
// and 15). It is 0 if the process has ended.
func (p PID) CPU() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name may contain spaces
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// RSS returns the resident memory in bytes, or 0 if the process has ended.
func (p PID) RSS() int64 { return p.memory("VmRSS") }

// PeakRSS returns the largest resident memory so far in bytes, or 0 if the process has ended.
func (p PID) PeakRSS() int64 { return p.memory("VmHWM") }

// memory returns a value of proc_pid_status(5) in bytes.
func (p PID) memory(name string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), name+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
