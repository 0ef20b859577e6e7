{{/*
The engine as a sidecar: it starts before the backend, and ends after the backend has drained, so that no answer loses its
engine while it is written.
*/}}
{{- define "steersman.engine" -}}
{{- $engine := .values.engine -}}
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
    - {name: engine, containerPort: {{ int $engine.port }}}
  env:
    - {name: HOME, value: /tmp}
    {{- with $engine.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  startupProbe:
    httpGet: {path: {{ $engine.healthPath }}, port: engine}
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: {{ div (add $engine.startupSeconds 4) 5 }}
  livenessProbe:
    httpGet: {path: {{ $engine.healthPath }}, port: engine}
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
