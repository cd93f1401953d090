/** What is built by both programs, in order. $D is a folder, $N a name of each program's own: what one built is no cache for the other. */

const folder = "$D/$N";
/** Sizes differ where a Dockerfile is put into a context: docker counts an archive that has no end. */
const unmeasured = "sed 's/\\(Sending build context to \\).*/\\1/'";

export const buildStory = [
  `mkdir -p ${folder}/sub && cd ${folder} && echo $N >sub/a && echo b >sub/b && ln -s sub/a link && chmod 700 sub/b`,
  `printf 'FROM busybox\\nCOPY . /x\\nRUN ls /x\\nRUN echo err >&2\\nCMD ["ls", "-R", "/x"]\\n' >${folder}/Dockerfile`,
  `$CLI build -t $N:1 ${folder}`,
  `$CLI build -t $N:2 -t $N:3 ${folder}`,
  `$CLI image build ${folder}`,
  `cd ${folder}/sub && $CLI builder build -q ..`,
  "$CLI run --rm $N:1",
  `$CLI build -q ${folder}`,
  `$CLI build --iidfile ${folder}.id ${folder} >/dev/null && cat ${folder}.id`,
  `$CLI build -q --iidfile ${folder}.id ${folder} >/dev/null && cat ${folder}.id`,
  `$CLI build --iidfile /nosuch/id ${folder}`,
  `$CLI build -f - ${folder} <${folder}/Dockerfile | ${unmeasured}`,
  `$CLI build -f ${folder}/Dockerfile ${folder}/sub | ${unmeasured}`,
  `tar -C ${folder} -c . | $CLI build -`,
  `tar -C ${folder} -cz . | $CLI build -q -`,
  `$CLI build --compress -q ${folder}`,
  `printf 'FROM busybox\\nRUN echo $N; exit 3\\n' | $CLI build -`,
  `printf 'FROM busybox\\nRUN echo $N; exit 3\\n' | $CLI build -q -`,
  `printf 'FROM busybox AS one\\nRUN echo $N; exit 3\\nFROM one\\nRUN true\\n' | $CLI build -`,
  "printf 'FROM busybox\\nFOO\\n' | $CLI build -",
  "$CLI build - </dev/null",
  `$CLI build --target nope ${folder}`,
  `$CLI build -f nope ${folder}`,
  `$CLI build -f ../nope/Dockerfile ${folder}`,
  `printf '*\\n!sub\\nsub/b\\n# c\\n' >${folder}/.dockerignore && $CLI build -t $N:4 ${folder} | head -1; $CLI run --rm $N:4`,
  `printf '!\\n' >${folder}/.dockerignore && $CLI build ${folder}; rm ${folder}/.dockerignore`,
  `printf 'FROM busybox\\nARG A=1\\nARG B\\nARG C\\nLABEL x=$A y=$B z=$C\\nRUN echo $N $A $B $C >/args\\n' >${folder}.args`,
  `B=env $CLI build -t $N:5 --build-arg A=2 --build-arg B --build-arg NOSUCH --label l=1 --label m -f ${folder}.args ${folder}/sub | ${unmeasured}`,
  "$CLI run --rm $N:5 cat /args",
  "$CLI inspect -f '{{.Config.Labels}}' $N:5",
  `$CLI build --no-cache --rm=false --force-rm --pull=false -m 64m --memory-swap -1 --shm-size 1m --ulimit nofile=99:99 --add-host a:1.2.3.4 --network none -q ${folder}`,
  "$CLI rmi -f $($CLI images -q $N) | grep -c Untagged",
];
