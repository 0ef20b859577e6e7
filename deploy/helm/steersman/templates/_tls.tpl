{{/* Where a container finds its certificates. */}}
{{- define "steersman.tlsFolder" -}}/etc/steersman-tls{{- end -}}

{{/*
Everybody who has a certificate, as a JSON list of component, tier, name and secret: the workloads, and `client`, which stands
for KEDA, Prometheus and `helm test`.
*/}}
{{- define "steersman.tlsHolders" -}}
{{- $root := . -}}
{{- $full := include "steersman.fullname" . -}}
{{- $components := list "router" "client" -}}
{{- if .Values.classifier.enabled }}{{ $components = append $components "classifier" }}{{ end -}}
{{- if .Values.redis.enabled }}{{ $components = append $components "redis" }}{{ end -}}
{{- if include "steersman.scaler" . }}{{ $components = append $components "scaler" }}{{ end -}}
{{- if include "steersman.controlled" . }}{{ $components = append $components "controller" }}{{ end -}}
{{- $holders := list -}}
{{- range $components -}}
{{- $name := printf "%s-%s" $full . -}}
{{- $holders = append $holders (dict "component" . "tier" "" "name" $name "secret" (include "steersman.tlsSecret" (dict "root" $root "component" . "name" $name))) -}}
{{- end -}}
{{- range include "steersman.backends" . | fromJsonArray -}}
{{- $name := printf "%s-backend-%s" $full . -}}
{{- $holders = append $holders (dict "component" "backend" "tier" . "name" $name "secret" (include "steersman.tlsSecret" (dict "root" $root "component" "backend" "name" $name))) -}}
{{- end -}}
{{- $holders | toJson -}}
{{- end -}}

{{/* Name of the Secret with a workload's certificate. Takes root, component and the workload's name. */}}
{{- define "steersman.tlsSecret" -}}
{{- $given := get .root.Values.tls.secrets .component -}}
{{- eq .root.Values.tls.source "secrets" | ternary $given (printf "%s-tls" .name) -}}
{{- end -}}

{{/*
DNS names of a holder, as a JSON list: those of its Services, and one that all have for Prometheus, which reaches pods by
their addresses. A router is also what `kubectl port-forward` makes of it, and so is Redis, for `steersman captures`. Takes root, component and name.
*/}}
{{- define "steersman.tlsNames" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $services := list .name -}}
{{- if eq .component "router" }}{{ $services = append $services (printf "%s-headless" .name) }}{{ end -}}
{{- $names := list -}}
{{- range $services -}}
{{- $names = concat $names (list . (printf "%s.%s" . $namespace) (printf "%s.%s.svc" . $namespace) (printf "%s.%s.svc.cluster.local" . $namespace)) -}}
{{- end -}}
{{- $names = append $names (include "steersman.tlsMetricsName" .root) -}}
{{- if has .component (list "router" "redis") }}{{ $names = append $names "localhost" }}{{ end -}}
{{- $names | toJson -}}
{{- end -}}

{{- define "steersman.tlsMetricsName" -}}{{ include "steersman.fullname" . }}-metrics{{- end -}}

{{/* Settings of one of the product's processes, as JSON. Takes a part. */}}
{{- define "steersman.tlsSettings" -}}
{{- $settings := dict -}}
{{- if .root.Values.tls.enabled -}}
{{- $full := include "steersman.fullname" .root -}}
{{- $router := eq .component "router" -}}
{{- $verify := or (not $router) .root.Values.tls.verifyCallers -}}
{{- $may := dict
      "router" (list (printf "%s-scaler" $full) (printf "%s-controller" $full))
      "backend" (list (printf "%s-router" $full))
      "scaler" (list (printf "%s-client" $full)) -}}
{{- $settings = dict "TLS__FOLDER" (include "steersman.tlsFolder" .root) "TLS__VERIFY_CLIENTS" $verify -}}
{{- with get $may .component -}}
{{- $_ := set $settings "TLS__CLIENT_NAMES" (toJson .) -}}
{{- end -}}
{{- with .root.Values.tls.plaintextTo -}}
{{- $_ := set $settings "TLS__PLAINTEXT_TO" (toJson .) -}}
{{- end -}}
{{- end -}}
{{- $settings | toJson -}}
{{- end -}}

{{/* How Prometheus reads metrics where hops are private. */}}
{{- define "steersman.scrapedByTls" -}}
{{- $client := include "steersman.tlsSecret" (dict "root" . "component" "client" "name" (printf "%s-client" (include "steersman.fullname" .))) -}}
scheme: https
tlsConfig:
  serverName: {{ include "steersman.tlsMetricsName" . }}
  ca: {secret: {name: {{ $client | quote }}, key: ca.crt}}
  cert: {secret: {name: {{ $client | quote }}, key: tls.crt}}
  keySecret: {name: {{ $client | quote }}, key: tls.key}
{{- end -}}

{{/* Redis reads its certificate again when it is told to. Runs it with the arguments that follow. */}}
{{- define "steersman.redisWithTls" -}}
{{- $folder := include "steersman.tlsFolder" . -}}
follow() {
  while sleep 20; do
    cmp -s {{ $folder }}/tls.crt /tmp/served.crt && cmp -s {{ $folder }}/ca.crt /tmp/served-ca.crt && continue
    {{ include "steersman.redisCli" . | fromJsonArray | join " " }} CONFIG SET tls-cert-file {{ $folder }}/tls.crt tls-key-file {{ $folder }}/tls.key tls-ca-cert-file {{ $folder }}/ca.crt &&
      cp -f {{ $folder }}/tls.crt /tmp/served.crt && cp -f {{ $folder }}/ca.crt /tmp/served-ca.crt
  done
}
cp -f {{ $folder }}/tls.crt /tmp/served.crt
cp -f {{ $folder }}/ca.crt /tmp/served-ca.crt
follow >/dev/null &
exec redis-server "$@"
{{- end -}}

{{/* The command line of redis-cli, as a JSON list. */}}
{{- define "steersman.redisCli" -}}
{{- $folder := include "steersman.tlsFolder" . -}}
{{- .Values.tls.enabled | ternary
      (list "redis-cli" "--tls" "--cert" (print $folder "/tls.crt") "--key" (print $folder "/tls.key") "--cacert" (print $folder "/ca.crt"))
      (list "redis-cli") | toJson -}}
{{- end -}}

{{/* HOST:PORT of a URL where it is asked in the clear and not on the pod's loopback; empty where not. */}}
{{- define "steersman.inTheClear" -}}
{{- if hasPrefix "http://" . -}}
{{- $host := (urlParse (lower .)).hostname | trimSuffix "." -}}
{{- if not (regexMatch "^(localhost|127\\.[0-9.]+|::1)$" $host) -}}
{{- printf "%s:%s" (include "steersman.urlHost" $host) (include "steersman.port" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The same where TLS is on and nobody has said that it may be. Takes root and url. */}}
{{- define "steersman.refusedInTheClear" -}}
{{- if .root.Values.tls.enabled -}}
{{- with include "steersman.inTheClear" .url -}}
{{- $allowed := list -}}
{{- range $.root.Values.tls.plaintextTo }}{{ $allowed = append $allowed (lower .) }}{{ end -}}
{{- if not (or (has . $allowed) (has (regexReplaceAll ":[0-9]+$" . "") $allowed)) }}{{ . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
