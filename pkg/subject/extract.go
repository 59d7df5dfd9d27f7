package subject

import "strings"

// Extract is the reverse of [Expand]: the values of a template's variables in a
// topic that was made of it. ok is false when the topic was not. A level may have
// one variable, with text around it.
func Extract(template, topic string) (values map[string]string, ok bool) {
	want, have := strings.Split(template, "/"), strings.Split(topic, "/")
	if len(want) != len(have) {
		return nil, false
	}
	values = map[string]string{}
	for i, level := range want {
		name, before, after := "", level, ""
		for at := range level {
			if n, length := variable(level[at:]); length > 0 {
				name, before, after = n, level[:at], level[at+length:]
				break
			}
		}
		if name == "" {
			if level != have[i] {
				return nil, false
			}
			continue
		}
		value, fits := strings.CutPrefix(have[i], before)
		if fits {
			value, fits = strings.CutSuffix(value, after)
		}
		if was, again := values[name]; !fits || value == "" || again && was != value {
			return nil, false
		}
		values[name] = value
	}
	return values, true
}
