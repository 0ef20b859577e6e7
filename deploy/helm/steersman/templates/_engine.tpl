{{/*
The engine as a sidecar: it starts before the backend, and ends after the backend has drained, so that no answer loses its
engine while it is written.
*/}}
{{- define "steersman.engine" -}}
{{- $engine := .values.engine -}}
{{- $asked := dict "httpGet" (dict "path" $engine.healthPath "port" "engine") -}}
{{- if .root.Values.tls.enabled -}}
{{- $asked = dict "httpGet" (dict "path" $engine.healthPath "port" (include "steersman.engineHealthPort" . | int) "scheme" "HTTPS") -}}
{{- end -}}
- name: engine
  image: {{ include "steersman.image" (dict "root" .root "image" $engine.image) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  restartPolicy: Always
  {{- include "steersman.containerSecurity" . | nindent 2 }}
  {{- with $engine.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $engine.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: engine, containerPort: {{ include "steersman.enginePort" (dict "root" .root "engine" $engine) }}}
  env:
    - {name: ENGINE_HOST, value: {{ include "steersman.engineHost" .root | quote }}}
    - {name: HOME, value: /tmp}
    {{- /* The image knows no name of the user, and PyTorch does not start without one. */}}
    - {name: USER, value: engine}
    {{- with $engine.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  startupProbe:
    {{- toYaml $asked | nindent 4 }}
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: {{ div (add $engine.startupSeconds 4) 5 }}
  livenessProbe:
    {{- toYaml $asked | nindent 4 }}
    periodSeconds: 10
    timeoutSeconds: 10
    failureThreshold: 6
  resources:
    {{- toYaml $engine.resources | nindent 4 }}
  volumeMounts:
    - {name: engine-tmp, mountPath: /tmp}
    {{- if $engine.cacheSize }}
    - {name: engine-cache, mountPath: /cache}
    {{- end }}
    {{- if $engine.sharedMemory }}
    - {name: engine-shm, mountPath: /dev/shm}
    {{- end }}
    {{- with $engine.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Where an engine listens: where hops are private, on its pod's loopback, and Envoy speaks for it. */}}
{{- define "steersman.engineHost" -}}
{{- .Values.tls.enabled | ternary "127.0.0.1" (include "steersman.everywhere" .) -}}
{{- end -}}

{{/* Port of the pod where its metrics are. Takes root and engine. */}}
{{- define "steersman.enginePort" -}}
{{- .root.Values.tls.enabled | ternary (include "steersman.engineMetricsPort" .) (int .engine.port | toString) -}}
{{- end -}}

{{- define "steersman.engineVolumes" -}}
- name: engine-tmp
  emptyDir: {}
{{- if .cacheSize }}
- name: engine-cache
  emptyDir:
    sizeLimit: {{ .cacheSize }}
{{- end }}
{{- if .sharedMemory }}
- name: engine-shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .sharedMemory }}
{{- end }}
{{- end -}}
