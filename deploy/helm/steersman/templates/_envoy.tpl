{{/*
Envoy, which speaks TLS in a pod whose server has none of its own: Triton, or an engine. It is a sidecar that starts before that
server and ends after it, so that it is there for whoever is still asking while the server drains.
*/}}
{{- define "steersman.envoyFolder" -}}/etc/envoy{{- end -}}

{{/* Ports of a backend's pod where Envoy speaks for the engine: of its health, and of its metrics. */}}
{{- define "steersman.engineHealthPort" -}}9443{{- end -}}
{{- define "steersman.engineMetricsPort" -}}9444{{- end -}}

{{/* Ports of the loopback where Triton listens behind Envoy, as JSON. */}}
{{- define "steersman.tritonBehind" -}}
{{- dict "grpc" 8011 "http" 8010 "metrics" 8012 | toJson -}}
{{- end -}}

{{/* What Envoy's files are filled in with for Triton, as JSON. */}}
{{- define "steersman.envoyOfTriton" -}}
{{- $behind := include "steersman.tritonBehind" . | fromJson -}}
{{- merge (include "steersman.envoyOfSpans" . | fromJson) (dict
      "GRPC_PORT" 8001 "HEALTH_PORT" 8000 "METRICS_PORT" 8002
      "TO_GRPC" $behind.grpc "TO_HEALTH" $behind.http "TO_METRICS" $behind.metrics
      "LIVE" "/v2/health/live" "READY" "/v2/health/ready" "METRICS" "/metrics") | toJson -}}
{{- end -}}

{{/* The same for an engine, which has no gRPC and perhaps no metrics. Takes the engine's values. */}}
{{- define "steersman.envoyOfEngine" -}}
{{- $filled := dict
      "HEALTH_PORT" (include "steersman.engineHealthPort" . | int) "TO_HEALTH" .port
      "LIVE" .healthPath "READY" .healthPath -}}
{{- if .metricsPath -}}
{{- $filled = merge $filled (dict
      "METRICS_PORT" (include "steersman.engineMetricsPort" . | int) "TO_METRICS" .port "METRICS" .metricsPath) -}}
{{- end -}}
{{- $filled | toJson -}}
{{- end -}}

{{/* Envoy's files, as JSON: text by name. Takes root and what they are filled in with, as filled. */}}
{{- define "steersman.envoyFiles" -}}
{{- $full := include "steersman.fullname" .root -}}
{{- $filled := merge (dict
      "ADDRESS" (include "steersman.everywhere" .root)
      "CONFIG" (include "steersman.envoyFolder" .)
      "FOLDER" (include "steersman.tlsFolder" .)
      "CALLER" (printf "%s-router" $full)
      "READER" (printf "%s-client" $full)) .filled -}}
{{- $files := dict -}}
{{- $names := list "envoy" "certificate" "authorities" -}}
{{- if hasKey $filled "TO_TRACES" }}{{ $names = append $names "collector-authorities" }}{{ end -}}
{{- if $filled.COLLECTOR_SHOWN }}{{ $names = append $names "collector-certificate" }}{{ end -}}
{{- range $name := $names -}}
{{- $text := $.root.Files.Get (printf "files/envoy/%s.yaml" $name) -}}
{{- range $key, $value := $filled -}}
{{- $text = replace (printf "${%s}" $key) (include "steersman.text" $value) $text -}}
{{- end -}}
{{- $content := fromYaml $text -}}
{{- with $content.Error }}{{ fail . }}{{ end -}}
{{- range $kind, $parts := $content.static_resources -}}
{{- $kept := list -}}
{{- range $parts -}}
{{- if hasKey $filled (printf "TO_%s" (upper .name)) }}{{ $kept = append $kept . }}{{ end -}}
{{- if and (eq $kind "clusters") (eq .name "traces") (not $filled.COLLECTOR_SHOWN) -}}
{{- $_ := unset .transport_socket.typed_config.common_tls_context "tls_certificate_sds_secret_configs" -}}
{{- end -}}
{{- end -}}
{{- $_ := set $content.static_resources $kind $kept -}}
{{- end -}}
{{- $_ := set $files (printf "%s.yaml" $name) (toYaml $content) -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}

{{/* The ConfigMap of Envoy's files. Takes a part, and filled. */}}
{{- define "steersman.envoyConfigMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}-envoy
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "steersman.labels" . | nindent 4 }}
data:
  {{- include "steersman.envoyFiles" . | fromJson | toYaml | nindent 2 }}
{{- end -}}

{{/* Annotations of a pod with Envoy: it reads its configuration once, and starts anew with another. Takes root and filled. */}}
{{- define "steersman.envoyAnnotations" -}}
checksum/envoy: {{ include "steersman.envoyFiles" . | sha256sum }}
{{- end -}}

{{- define "steersman.envoy" -}}
{{- $values := .root.Values.tls.envoy -}}
{{- $asked := dict "httpGet" (dict "path" "/envoy/healthz" "port" (int .filled.HEALTH_PORT) "scheme" "HTTPS") -}}
- name: envoy
  image: {{ include "steersman.image" (dict "root" .root "image" $values.image) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  restartPolicy: Always
  {{- include "steersman.containerSecurity" . | nindent 2 }}
  args: [--config-path, {{ include "steersman.envoyFolder" . }}/envoy.yaml, --concurrency, "1", --log-level, warning, --disable-hot-restart]
  startupProbe:
    {{- toYaml $asked | nindent 4 }}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  livenessProbe:
    {{- toYaml $asked | nindent 4 }}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  volumeMounts:
    - {name: envoy, mountPath: {{ include "steersman.envoyFolder" . }}, readOnly: true}
    - {name: tls, mountPath: {{ include "steersman.tlsFolder" . }}, readOnly: true}
    {{- if and (hasKey .filled "TO_TRACES") .root.Values.otel.tls.secretName }}
    - {name: otel-tls, mountPath: {{ include "steersman.otelFolder" . }}, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "steersman.envoyVolume" -}}
- name: envoy
  configMap:
    name: {{ .name }}-envoy
{{- end -}}
