# SPDX-License-Identifier: Apache-2.0
# bash completion for expctl
#
# Names and ids are asked from the daemon, for a second at most and quietly: completion works
# without one too.

_expctl_ask()
{
	timeout 1 expctl --quiet "$@" 2>/dev/null
}

_expctl_values()
{
	case $1 in
	--socket) compgen -f -- "$cur" ;;
	--device) compgen -W "$(_expctl_ask device list)" -- "$cur" ;;
	--to) compgen -W "$(_expctl_ask peer list)" -- "$cur" ;;
	--export) compgen -W "$(_expctl_ask export list)" -- "$cur" ;;
	--dirty) compgen -W "cdq none" -- "$cur" ;;
	--hold) compgen -W "switch commit switch,commit" -- "$cur" ;;
	--lba) compgen -W "512 4096" -- "$cur" ;;
	--state) compgen -W "preflight preparing copying ready switching rolling-back released \
		done failed cancelled taken receiving restored activating active discarding \
		discarded" -- "$cur" ;;
	esac
}

_expctl_arguments()
{
	case "$1 $2" in
	"device show") _expctl_ask device list ;;
	"export show" | "export delete" | migrate\ * | preflight\ *) _expctl_ask export list ;;
	"migration show" | "migration follow") _expctl_ask migration list ;;
	"migration "?*) _expctl_ask migration list --open ;;
	esac
}

_expctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local common="--socket --json --quiet --help" move options="" noun="" verb="" w i

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		[[ ${COMP_WORDS[i - 1]} == --socket || $w == -* ]] && continue
		if [[ -z $noun ]]; then
			noun=$w
		elif [[ -z $verb ]]; then
			verb=$w
		fi
	done
	case $prev in
	--socket | --device | --to | --export | --dirty | --hold | --lba | --state)
		mapfile -t COMPREPLY < <(_expctl_values "$prev")
		return
		;;
	--size | --controller | --nqn | --to-device | --to-controller | --hold-lease-ms | \
		--blackout-limit-ms | --wait | --key | --limit | --memory | --since)
		return
		;;
	esac
	move="--to --to-device --to-controller --hold --hold-lease-ms --dirty --blackout-limit-ms"
	case "$noun $verb" in
	"export create") options="--device --size --lba --controller --nqn" ;;
	preflight\ *) options=$move ;;
	migrate\ *) options="$move --dry-run --detach --wait --key" ;;
	"migration list") options="--state --export --open --limit" ;;
	"migration follow") options="--wait" ;;
	"migration target-ready") options="--memory" ;;
	events\ *) options="--since --follow" ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$cur")
		return
	fi
	case $noun in
	"")
		w="device export peer preflight migrate migration events check version help"
		;;
	device) w="list show" ;;
	export) w="create list show delete" ;;
	peer) w="list" ;;
	migration)
		w="list show follow target-ready switchover commit abort cancel"
		;;
	help) w="device export peer preflight migrate migration events check version" ;;
	*) w="" ;;
	esac
	if [[ -n $verb || $noun == migrate || $noun == preflight ]]; then
		w=$(_expctl_arguments "$noun" "$verb")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$w" -- "$cur")
}

complete -F _expctl expctl
